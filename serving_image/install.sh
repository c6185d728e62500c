#!/bin/sh
# Makes the Python environment that replicas of a project run in, the same way in two places: the Dockerfiles run it while
# an image is built, the local cloud runs it for the environment that stands for the image.
#
#   install.sh CONTEXT ENVIRONMENT PYTHON [PART...]
#
# CONTEXT      the build context: project/ (what the project installs from, perhaps with .python-version), serving_image/
# ENVIRONMENT  the folder to make
# PYTHON       version or interpreter for a project that names none
# PART         project (the environment, and what the project installs), dependencies (those of the serving program),
#              program (the serving program itself). All three where none is named; each is a layer of an image, so that
#              what changes often is small and comes last.
#
# The order is Cortex's: dependencies.sh, then conda, then pip. A line that starts with ==> names what is at work, so that
# whoever reads the log knows what failed. Variables: UV is the uv to use, MICROMAMBA the micromamba; SCRIPT_HOME is the HOME of
# dependencies.sh and of what it configures (for the local cloud, where HOME is the user's); CACHE_FIRST, where it is not empty,
# lets uv ask no index for what its cache has.
set -eu

context=$1 environment=$2 python=$3
shift 3
parts=${*:-project dependencies program}
# The context may be read-only, and what was installed with -e stays in this copy.
project=$environment/project
serving=$context/serving_image
uv=${UV:-uv}
script_home=${SCRIPT_HOME:-$HOME}
channel="conda-forge"
# Written where dependencies.sh has configured pip: the later parts, which may run in another shell, need to know.
pip_is_configured=$environment/.pip-is-configured

step() {
    echo "==> $1"
}

fail() {
    echo "error: $1"
    echo "hint: $2"
    exit 1
}

find_conda() {
    for program in ${MICROMAMBA:-} micromamba mamba conda; do
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

# Whether uv's cache may answer alone. Where several indexes count, or a branch of Git, only asking them tells what is meant.
cache_may_answer() {
    if [ -z "${CACHE_FIRST:-}" ] || [ -n "${UV_INDEX:-}${UV_EXTRA_INDEX_URL:-}" ]; then return 1; fi
    if grep -qs index uv.toml; then return 1; fi
    ! grep -rqsE --include="*.txt" -e '^ *(-i|-f|--index-url|--extra-index-url|--find-links|--no-index)|git\+' .
}

# uv with these arguments: at first without a network, where that may do.
run_uv() {
    if cache_may_answer; then
        said=$("$uv" "$@" --offline 2>&1) && { echo "$said"; return; }
    fi
    "$uv" "$@"
}

# Arguments as for `pip install`. uv is many times faster than pip, but does not read pip's configuration. Of several indexes,
# uv takes a package from the first that has it, so that nobody can replace a private package by a public one of its name;
# the project's uv.toml may choose otherwise.
install_packages() {
    if [ -e "$pip_is_configured" ]; then
        PIP_CACHE_DIR=${PIP_CACHE_DIR:-$("$environment/bin/python" -m pip cache dir 2>/dev/null || true)}
        export PIP_CACHE_DIR
        pip install --progress-bar off "$@"
    else
        run_uv pip install --no-progress --python "$environment/bin/python" "$@"
    fi
}

make_environment() {
    if [ -f .python-version ]; then python=$(cat .python-version); fi
    if [ -f conda-packages.txt ]; then
        step conda-packages.txt
        conda=$(find_conda) || { echo "$conda"; exit 1; }
        wanted=$(grep -E '^([^#]*::)?python *([=<>!~].*)?$' conda-packages.txt | head -n 1)
        "$conda" create --yes --prefix "$environment" --channel "$channel" "${wanted:-python=$(version_of "$python")}" pip
        return
    fi
    if [ -f .python-version ]; then step .python-version; else step Python; fi
    interpreter=$(find_python "$python") || {
        echo "Python $python is not here: uv looks for one to download"
        interpreter=$python
    }
    # Not in the project's folder: pyenv would look for the version that .python-version names, and fail uv's search.
    (cd / && make_virtual_environment) ||
        fail "there is no Python $python here, and uv could not get it" \
            "install it, or write another version to .python-version (see: uv python list)"
}

make_virtual_environment() {
    set -- venv --no-progress --no-project --no-config --seed --clear --python "$interpreter" "$environment"
    if [ -n "${CACHE_FIRST:-}" ] && said=$("$uv" "$@" --offline 2>&1); then echo "$said"; else "$uv" "$@"; fi
}

run_script() {
    step dependencies.sh
    before=$(pip config list 2>&1 || true)
    HOME=$script_home bash -e dependencies.sh || {
        status=$?
        echo "dependencies.sh ended with exit status $status"
        exit "$status"
    }
    # Cortex's way to a private index.
    if [ "$(pip config list 2>&1 || true)" != "$before" ]; then touch "$pip_is_configured"; fi
}

# PyTorch has other wheels for CPUs and for each CUDA, and UV_TORCH_BACKEND says which are meant. Whoever names an index or
# the hashes of files, or a build of PyTorch (+cu126), has chosen already.
respect_choice_of_torch() {
    if grep -rqsE --include="*.txt" -e '^ *(-i|-f|--index-url|--extra-index-url|--find-links|--no-index)|--hash|\+(cu[0-9]+|cpu)' .; then
        unset UV_TORCH_BACKEND
    fi
    if grep -qs torch-backend uv.toml; then unset UV_TORCH_BACKEND; fi
}

install_project() {
    cd "$context/project"
    make_environment
    cp -Rp "$context/project" "$project"
    cd "$project"
    # uv would go on to look for its configuration in the folders around this one.
    if [ ! -f uv.toml ] && [ ! -f pyproject.toml ]; then : > uv.toml; fi
    enter_environment
    if [ -f dependencies.sh ]; then run_script; fi
    if [ -f conda-packages.txt ]; then
        step conda-packages.txt
        "$conda" install --yes --prefix "$environment" --channel "$channel" --file conda-packages.txt
    fi
    compile_own_python
    if [ ! -s requirements.txt ]; then return; fi
    step requirements.txt
    # What the serving program needs counts already, so that versions are chosen that suit both.
    (respect_choice_of_torch; install_packages --requirement requirements.txt --constraint "$serving/requirements.txt")
}

# What uv has put beside a new environment (pip apart, which no replica imports), and the standard library of a Python that
# it has downloaded. (Bases have theirs compiled by the Dockerfile.)
compile_own_python() {
    if [ -n "${UV_COMPILE_BYTECODE:-}" ]; then "$environment/bin/python" -m compileall -q -j 0 -x '/pip/' "$environment/lib"; fi
    if [ -z "${UV_PYTHON_INSTALL_DIR:-}" ]; then return; fi
    library=$("$environment/bin/python" -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
    case $library in
        "$UV_PYTHON_INSTALL_DIR"/*) "$environment/bin/python" -m compileall -q -j 0 -x '/(test|tests|site-packages)/' "$library" || true ;;
    esac
}

enter_environment() {
    if [ -d "$environment/conda-meta" ]; then export CONDA_PREFIX="$environment"; else export VIRTUAL_ENV="$environment"; fi
    PATH="$environment/bin:$PATH"
    export PATH
}

# The indexes that requirements.txt names count for the serving program, too. (Paths are relative to the project.)
write_indexes() {
    grep -rhsE --include="*.txt" '^ *(-i|-f|--index-url|--extra-index-url|--find-links|--no-index|--trusted-host)' . || true
}

# What is installed stays as it is; all else has the version that the tests of the serving program ran with.
write_constraints() {
    "$environment/bin/python" -I - "$1" "$2" <<'END'
import re
import sys
from importlib.metadata import distributions

def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()

tested, into = sys.argv[1:]
installed = {plain(found.metadata["Name"] or ""): found.version for found in distributions()}
with open(into + "/installed.txt", "w") as file:
    for name, version in installed.items():
        if name and version and re.fullmatch(r"\d[\w.+!-]*", version):
            file.write(f"{name}=={version}\n")
with open(tested) as lines, open(into + "/tested.txt", "w") as file:
    for line in lines:
        name = re.match(r"[\w.-]+", line)
        if name and plain(name[0]) not in installed:
            file.write(line)
END
}

# What the predictor's type needs, where the project has not installed it, from whichever package.
write_missing_runtimes() {
    if [ ! -f "$serving/runtimes.txt" ]; then return; fi
    "$environment/bin/python" -I - "$serving/runtimes.txt" <<'END'
import sys
from importlib.util import find_spec

with open(sys.argv[1]) as lines:
    for line in lines:
        module, _, requirement = line.partition(" ")
        if find_spec(module) is None:
            print(requirement, end="")
END
}

install_dependencies() {
    step "dependencies of the serving program"
    cd "$project"
    enter_environment
    folder=$(mktemp -d)
    { write_indexes; cat "$serving/requirements.txt"; write_missing_runtimes; } > serving.in
    write_constraints "$serving/constraints.txt" "$folder"
    set -- --requirement serving.in --constraint "$folder/installed.txt"
    # With the versions that the tests ran with, else with others that suit what the project has installed, else with
    # others of what the project's packages need, such as a python-dateutil that is not too new for botocore.
    if install_packages "$@" --constraint "$folder/tested.txt" > "$folder/log" 2>&1 || install_packages "$@" > "$folder/log" 2>&1; then
        cat "$folder/log"
    elif [ -s requirements.txt ] && [ ! -d "$environment/conda-meta" ] && ! grep -qs -e --hash requirements.txt; then
        (respect_choice_of_torch; install_packages --requirement requirements.txt --requirement serving.in)
    else
        cat "$folder/log"
        return 1
    fi
    rm -rf "$folder" serving.in
}

install_program() {
    step "the serving program"
    cd "$project"
    enter_environment
    # Its build needs a package, from the same indexes.
    write_indexes > serving.in
    set -- "$serving"
    if [ -s serving.in ]; then set -- --requirement serving.in "$@"; fi
    install_packages --no-deps "$@"
    rm -f serving.in
    if [ -d "$environment/etc/conda/activate.d" ]; then activate_first; fi
    step installed
}

# Packages of conda set their variables (GDAL_DATA, PROJ_DATA ...) when an environment is activated. Nobody activates that
# of a replica, so its program does.
activate_first() {
    mv "$environment/bin/cortex-serve" "$environment/bin/cortex-serve-activated"
    cat > "$environment/bin/cortex-serve" <<END
#!/usr/bin/env bash
export CONDA_PREFIX='$environment'
for script in "\$CONDA_PREFIX"/etc/conda/activate.d/*.sh; do
    if [ -e "\$script" ]; then . "\$script"; fi
done
exec "\$CONDA_PREFIX/bin/cortex-serve-activated" "\$@"
END
    chmod 755 "$environment/bin/cortex-serve"
}

temporary=${TMPDIR:-/tmp}
if [ ! -d "$temporary" ] || [ ! -w "$temporary" ]; then
    fail "the temporary folder $temporary does not exist, or cannot be written to" \
        "make it, or have TMPDIR name another one (cortex local down first: the local cloud keeps the variable)"
fi
for part in $parts; do
    case $part in
        project) install_project ;;
        dependencies) install_dependencies ;;
        program) install_program ;;
        *) fail "there is no part named $part" "it is project, dependencies or program" ;;
    esac
done
