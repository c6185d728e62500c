#!/bin/sh
# Makes the Python environment that replicas of a project run in, the same way in two places: the Dockerfiles run it while
# an image is built, the local cloud runs it for the environment that stands for the image.
#
#   install.sh CONTEXT ENVIRONMENT PYTHON
#
# CONTEXT      the build context: project/ (what the project installs from), serving_image/, perhaps python-version
# ENVIRONMENT  the folder to make
# PYTHON       version or interpreter for a project that names none
#
# The order is Cortex's: dependencies.sh, then conda, then pip. A line that starts with ==> names the file that is at work,
# so that whoever reads the log knows which one failed. Variables: UV is the uv to use, SCRIPT_HOME is the HOME of
# dependencies.sh and of what it configures (both for the local cloud, where HOME is the user's).
set -eu

context=$1 environment=$2 python=$3
uv=${UV:-uv}
script_home=${SCRIPT_HOME:-$HOME}
channel="conda-forge"

step() {
    echo "==> $1"
}

fail() {
    echo "error: $1"
    echo "hint: $2"
    exit 1
}

find_conda() {
    for program in micromamba mamba conda; do
        command -v "$program" && return
    done
    fail "conda packages need micromamba, mamba or conda, and none is on the PATH" \
        "install one (https://mamba.readthedocs.io/en/latest/installation/), then: cortex local down, and deploy again"
}

find_python() {
    # The second try is for pyenv, whose python3.x works only where pyenv is told to use it.
    "$uv" python find --no-project --system "$1" 2>/dev/null ||
        PYENV_VERSION=$1 "$uv" python find --no-project --system "$1" 2>/dev/null
}

pip() {
    HOME=$script_home "$environment/bin/python" -m pip "$@"
}

version_of() {
    case $1 in
        */*) "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' ;;
        *) echo "$1" ;;
    esac
}

cd "$context/project"
if [ -f ../python-version ]; then
    python=$(cat ../python-version)
fi

if [ -f conda-packages.txt ]; then
    step conda-packages.txt
    conda=$(find_conda) || { echo "$conda"; exit 1; }
    wanted=$(grep -E '^([^#]*::)?python *([=<>!~].*)?$' conda-packages.txt | head -n 1)
    "$conda" create --yes --prefix "$environment" --channel "$channel" "${wanted:-python=$(version_of "$python")}" pip
    export CONDA_PREFIX="$environment"
else
    if [ -f ../python-version ]; then step .python-version; else step Python; fi
    interpreter=$(find_python "$python") || {
        echo "Python $python is not here: uv looks for one to download"
        interpreter=$python
    }
    "$uv" venv --no-progress --no-project --seed --python "$interpreter" "$environment" ||
        fail "there is no Python $python here, and uv could not get it" \
            "install it, or write another version to .python-version (see: uv python list)"
    export VIRTUAL_ENV="$environment"
fi
PATH="$environment/bin:$PATH"
export PATH

# uv is many times faster than pip, but does not read pip's configuration: if the script has changed that (Cortex's way to
# a private index), pip itself is used.
pip_is_configured=""
if [ -f dependencies.sh ]; then
    step dependencies.sh
    before=$(pip config list 2>&1 || true)
    HOME=$script_home bash -e dependencies.sh || {
        status=$?
        echo "dependencies.sh ended with exit status $status"
        exit "$status"
    }
    if [ "$(pip config list 2>&1 || true)" != "$before" ]; then pip_is_configured=1; fi
fi

if [ -f conda-packages.txt ]; then
    step conda-packages.txt
    "$conda" install --yes --prefix "$environment" --channel "$channel" --file conda-packages.txt
fi

step requirements.txt
set -- ../serving_image
if [ -s requirements.txt ]; then set -- --requirement requirements.txt "$@"; fi
if [ "$pip_is_configured" ]; then
    PIP_CACHE_DIR=${PIP_CACHE_DIR:-$("$environment/bin/python" -m pip cache dir 2>/dev/null || true)}
    export PIP_CACHE_DIR
    pip install --progress-bar off "$@"
else
    # Several indexes count as they do for pip.
    "$uv" pip install --no-progress --python "$environment/bin/python" --index-strategy unsafe-best-match "$@"
fi
