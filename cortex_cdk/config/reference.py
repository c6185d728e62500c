"""Writes the configuration reference, ``docs/configuration.md``, from the models.

    python -m cortex_cdk.config.reference docs/configuration.md

The models hold everything about their fields (allowed values, defaults, meaning); this module only arranges the tables.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cortex_serving.predictors.types import predictor_types
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from cortex_cdk.config.cluster import Cluster
from cortex_cdk.config.model import Section, Shown, allowed, section_type
from cortex_cdk.config.realtime_api import RealtimeApi, TrafficSplitter
from cortex_cdk.config.sections.predictor import Predictor

_INTRODUCTION = """\
# Configuration reference

<!-- Written by `python -m cortex_cdk.config.reference docs/configuration.md` from the models. Do not edit. -->

`cortex deploy` reads a YAML file (`cortex.yaml` unless you name another one): a list of one or more Realtime APIs and
traffic splitters. The file's folder is the project. Files written for [Cortex](from-cortex.md) 0.18 to 0.35 load
unchanged; fields that ECS cannot honour are accepted with a warning. All problems are reported together, each with its
place, before anything is created.

* Write *durations* as in Go: `250ms`, `30s`, `5m`, `1h30m`. A bare number means seconds.
* Write *CPUs* as a number, `0.5`, or in thousandths, `500m`. Write *sizes* as `512Mi`, `2Gi`, `1G`, or in bytes.
* A field that is `null` counts as not set. Unknown fields are errors.
* YAML is read as Cortex read it: `1e-5` is a number, dates and `1:30` are text, and `yes`, `no`, `on`, `off` are
  booleans (in `predictor.config` with a warning, as you may mean text). `predictor.config` keeps its order.
* `predictor.config`, `predictor.env` and the list of models have room for some 30,000 bytes together: put what is
  larger into a file of the project, variables into `.env` (128 KiB each), and many models into one folder.
* Paths are relative to the configuration file and never leave its folder. Models may also be on S3 (`s3://...`).
* `cortex validate` checks a file and its project without deploying. `cortex init` makes a file in which each common
  field stands with its default, and tells editors the JSON Schema (`cortex schema`), by which they complete and check.

```yaml
- name: iris-classifier
  kind: RealtimeAPI
  predictor:
    type: python
    path: predictor.py
  compute:
    cpu: 500m
    mem: 1Gi
  autoscaling:
    min_replicas: 2
    max_replicas: 10
```

## What is uploaded

The project is the folder of the configuration file. Left out are the configuration file itself, hidden files and
folders (but `.env` is always included), `*.pyc`, `*.pyo`, `*.pyd`, `__pycache__`, `cortex-debug-*`, virtual
environments, empty folders, sockets and pipes, and everything that `.cortexignore` names (in the syntax of
`.gitignore`). A project without `.cortexignore` leaves out what Git ignores: the `.gitignore` files in the project and
around it, up to the root of the repository, count. `cortex deploy` names files that look like secrets (`id_rsa`,
`*.pem`, `.env`, `credentials.json`, `terraform.tfstate` ...) before it packs them; `--strict` refuses them.

Links inside the project are followed; a link that leads out of the project is an error. The limit is
512 MiB, for one file and for all together. `cortex deploy` asks before it uploads a file or an archive of 10 MiB, or a
thousand files (`--yes` answers yes). A project has changed if names, contents or execute permissions have.

`.env` sets environment variables of replicas, one `NAME=value` a line, in the syntax of python-dotenv: comments,
quotes, values of several lines in double quotes, `${NAME}` for other variables (not in single quotes). Variables of
`predictor.env` win over those of `.env`.
"""

_CLUSTER_INTRODUCTION = """\
## Cluster

`cortex cluster up` reads `cluster.yaml`: one map. Every field has a default. Files of the original Cortex load too if
their fields have counterparts here: their instances become one instance group called `workers`.
"""

_DOCUMENTED: tuple[tuple[str, type[Section], str], ...] = (
    ("Realtime API", RealtimeApi, ""),
    ("Traffic splitter", TrafficSplitter, ""),
    ("Cluster", Cluster, _CLUSTER_INTRODUCTION),
)


def reference() -> str:
    """Return the page as Markdown."""
    parts = [_INTRODUCTION]
    for title, model, introduction in _DOCUMENTED:
        parts.append(introduction or f"## {title}\n\n{_about(model)}\n")
        parts.append(_table(model))
        parts.extend(_sections(model, ""))
    return "\n".join(parts)


def _sections(model: type[Section], path: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        inner = section_type(field.annotation)
        # A splitter has the same networking section as an API: one table is enough.
        if inner and not (model is TrafficSplitter and name == "networking"):
            full = f"{path}{name}"
            yield f"### `{full}`\n\n{_about(inner)}\n\n{_table(inner)}"
            if inner is Predictor:
                yield _predictor_types()
            yield from _sections(inner, f"{full}.")


def _predictor_types() -> str:
    """Return the predictor types as a table."""
    rows = ["| Type | Class | Argument for the client | Models | Fields of this type only |", "| --- " * 5 + "|"]
    for kind in predictor_types().values():
        models = "needed" if kind.needs_models else "optional"
        fields = ", ".join(f"`{field}`" for field in sorted(kind.own_fields)) or "none"
        rows.append(f"| `{kind.name}` | `{kind.class_name}` | `{kind.client_argument}` | {models} | {fields} |")
    return "\n".join(rows) + "\n"


def _about(model: type[Section]) -> str:
    """Return a model's docstring as Markdown."""
    return inspect.cleandoc(model.__doc__ or "").replace("``", "`")


def _table(model: type[Section]) -> str:
    rows = ["| Field | Value | Default | Meaning |", "| --- | --- | --- | --- |"]
    for name, field in model.model_fields.items():
        cells = (f"`{name}`", _value(field), _default(field), field.description or "")
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(rows) + "\n"


def _value(field: FieldInfo) -> str:
    return f"{allowed(field)}, see below" if section_type(field.annotation) else allowed(field)


def _default(field: FieldInfo) -> str:
    shown = next((item.default for item in field.metadata if isinstance(item, Shown)), None)
    if shown is not None:
        return shown if " " in shown else f"`{shown}`"
    if field.is_required():
        return "required"
    if isinstance(field.default_factory, type):
        return "its defaults"
    if field.default is PydanticUndefined or field.default in (None, (), {}):
        return "none"
    return f"`{_plain(field.default)}`"


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(), encoding="utf-8")
