"""What an update changes, in the words of its user: on stderr, in JSON for scripts, and later in the API's history."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.history.record import Record
from cortex_cdk.history.store import KEPT, RecordStore
from tests.conftest import Cortex
from tests.json_output import read_json

LOGICAL_ID = re.compile(r"[A-Za-z]{3,}[0-9A-F]{8}\b")


def test_an_update_names_the_files_and_fields_that_it_changes(cortex: Cortex, tmp_path: Path) -> None:
    start, answer = "def __init__(self, config):\n        pass", "def predict(self):\n        return 1"
    code = f"class PythonPredictor:\n    {start}\n    {answer}\n"
    api = {
        "name": "told",
        "kind": "RealtimeAPI",
        "predictor": {"type": "python", "path": "predictor.py", "config": {"a": 1}, "env": {"TOKEN": "secret-1"}},
        "compute": {"cpu": "50m", "mem": "200Mi"},
    }

    def deploy(files: dict[str, str | None], *options: str, **settings: Any) -> tuple[str, Any]:
        for name, content in files.items():
            (tmp_path / name).write_text(content) if content is not None else (tmp_path / name).unlink()
        api.update(settings)
        (tmp_path / "cortex.yaml").write_text(yaml.safe_dump([api]))
        done = cortex.run("deploy", "--yes", "-o", "json", *options, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert not LOGICAL_ID.search(done.stderr + done.stdout)
        [result] = json.loads(done.stdout)
        return done.stderr, result

    said, result = deploy({"predictor.py": code, "old.py": "1"})
    assert result["differences"] is None

    said, result = deploy({"load.py": "import time"}, autoscaling={"max_replicas": 7})
    assert "told: new file: load.py\n" in said
    assert "told: autoscaling.max_replicas: 100 -> 7\n" in said or "-> 7\n" in said
    assert "told: a new revision replaces the replicas\n" in said
    assert result["differences"]["files"] == {"added": ["load.py"], "changed": [], "removed": []}
    assert [(one["field"], one["after"]) for one in result["differences"]["settings"]] == [
        ("autoscaling.max_replicas", 7)
    ]

    said, result = deploy({}, autoscaling={"max_replicas": 8})
    assert "told: no replica is replaced\n" in said
    assert "file" not in said
    assert result["differences"]["replaces_replicas"] is False

    predictor = {**api["predictor"], "config": {"a": 2, "b": [1]}, "env": {"TOKEN": "secret-2"}}  # type: ignore[dict-item]
    said, result = deploy({"predictor.py": code + "\n", "old.py": None}, predictor=predictor)
    for line in ("changed file: predictor.py", "removed file: old.py", "predictor.config.a: 1 -> 2"):
        assert f"told: {line}\n" in said
    assert "told: predictor.config.b: none -> [1]\n" in said
    assert "told: predictor.env.TOKEN (its value)\n" in said

    shown = cortex.ok("get", "told", "-v")
    assert "configuration (with defaults):\nname: told\nkind: RealtimeAPI\n" in shown
    deployed = cortex.json("get", "told", "--verbose")["configuration"]
    assert (deployed["predictor"]["config"], deployed["autoscaling"]["max_replicas"]) == ({"a": 2, "b": [1]}, 8)
    assert deployed["predictor"]["env"] == {"TOKEN": "***"}
    assert "secret" not in shown
    assert "secret" not in said + json.dumps(result)

    said, result = deploy({})
    assert (result["changed"], result["differences"], result["number"]) == (False, None, None)


def test_the_history_has_every_deployment_and_gives_its_files_back(cortex: Cortex, tmp_path: Path) -> None:
    """Of the API that the test above has deployed four times."""
    printed = read_json("history", cortex.ok("history", "told", "-o", "json"))
    found = {one["number"]: one for one in printed["deployments"]}
    assert (list(found), printed["serving"]) == ([4, 3, 2, 1], 4)
    assert {one["outcome"] for one in found.values()} == {"deployed"}
    assert [one["serves"] for one in found.values()] == [True, False, False, False]
    assert all(one["author"] and one["started"] <= one["ended"] and one["version"] for one in found.values())
    assert (found[1]["commit"], found[1]["message"], found[1]["changes"]) == (None, None, [])
    assert "removed file: old.py" in found[4]["changes"]
    # A change of scaling is a deployment of the same revision.
    assert found[3]["revision"] == found[2]["revision"]
    assert found[3]["configuration"] != found[2]["configuration"]
    assert found[3]["archive"] == found[2]["archive"] != found[1]["archive"]

    shown = cortex.ok("history", "told")
    assert [line.split()[0] for line in shown.splitlines()[1:] if not line.startswith(" ")] == ["v4", "v3", "v2", "v1"]
    assert shown.count("deployed, serves") == 1

    text = cortex.ok("diff", "told")
    assert "-  max_replicas" not in text
    assert "    a: 2\n" in text.replace("+", " ")
    assert "--- predictor.py (v3)\n+++ predictor.py (v4)\n" in text
    assert "*** (another value)" in text
    assert "secret" not in text
    compared = read_json("diff", cortex.ok("diff", "told", "1", "v2", "-o", "json"))
    assert [(file["path"], file["change"]) for file in compared["files"]] == [("load.py", "added")]
    assert compared["files"][0]["diff"].endswith("+import time\n\\ No newline at end of file\n")
    assert "+  max_replicas: 7\n" in compared["configuration"]
    assert "v3 and v3 of told do not differ" in cortex.ok("diff", "told", "3", found[3]["revision"])

    folder = tmp_path / "old"
    exported = read_json("export", cortex.ok("export", "told", "v2", str(folder), "-o", "json"))
    assert (exported["number"], exported["config"]) == (2, str(folder / "cortex.yaml"))
    assert sorted(path.name for path in folder.iterdir()) == ["cortex.yaml", "load.py", "old.py", "predictor.py"]
    assert yaml.safe_load((folder / "cortex.yaml").read_text())[0]["autoscaling"] == {"max_replicas": 7}
    refused = cortex.run("export", "told", str(folder))
    assert (refused.returncode, "is not an empty folder" in refused.stderr) == (1, True)

    back = read_json("rollback", cortex.ok("rollback", "told", "2", "-m", "v4 is slow", "-o", "json"))
    assert (back["number"], back["revision"], back["changed"]) == (5, found[2]["revision"], True)
    [again] = json.loads(cortex.ok("deploy", str(folder), "-o", "json"))
    assert again["changed"] is False, "what was exported is not what was deployed"
    now = read_json("history", cortex.ok("history", "told", "-o", "json"))["deployments"]
    digests = ("revision", "archive", "configuration", "image")
    assert [now[0][key] for key in digests] == [found[2][key] for key in digests]
    assert (now[0]["message"], now[0]["restores"], now[1]["rolled_back_by"]) == ("v4 is slow", 2, 5)
    # What was rolled back does not come again.
    assert "back to v1 as v6" in cortex.ok("rollback", "told")


def buckets(cortex: Cortex) -> list[str]:
    """The bucket of the cluster."""
    return [one["Name"] for one in cortex.aws("s3").list_buckets()["Buckets"] if "cluster" in one["Name"]]


def test_what_of_a_deployment_is_gone_is_named_before_anything_is_changed(cortex: Cortex) -> None:
    known = {one["number"]: one for one in cortex.json("history", "told")["deployments"]}
    s3, [bucket] = cortex.aws("s3"), buckets(cortex)
    s3.delete_object(Bucket=bucket, Key=f"projects/told/{known[4]['archive']}.zip")
    for command in (("rollback", "told", "4"), ("diff", "told", "4"), ("export", "told", "4", "nowhere")):
        refused = cortex.run(*command)
        assert refused.returncode == 1
        assert f"projects/told/{known[4]['archive']}.zip" in refused.stderr
        assert "hint: " in refused.stderr
    unknown = cortex.run("rollback", "told", "v9")
    assert (unknown.returncode, "told has no deployment v9" in unknown.stderr) == (1, True)
    assert "  v1  " in unknown.stderr, "the error lists what there is"
    assert len(cortex.json("history", "told")["deployments"]) == len(known)


def test_the_newest_are_kept_with_what_they_need_and_nothing_after_a_deletion(cortex: Cortex, tmp_path: Path) -> None:
    known, [bucket] = cortex.json("history", "told"), buckets(cortex)
    s3, newest, first = cortex.aws("s3"), known["deployments"][0], known["deployments"][-1]
    body = json.loads(s3.get_object(Bucket=bucket, Key="history/told/000001.json")["Body"].read())
    # As many as failed since.
    for number in range(newest["number"] + 1, newest["number"] + KEPT + 5):
        release = {**body["release"], "archive": f"of-{number}"}
        record = {**body, "number": number, "outcome": "failed", "release": release}
        s3.put_object(Bucket=bucket, Key=f"history/told/{number:06}.json", Body=json.dumps(record).encode())
        s3.put_object(Bucket=bucket, Key=f"projects/told/of-{number}.zip", Body=b"")
    last = newest["number"] + KEPT + 5

    cloud = Cloud.without_account("us-east-1", cortex.control_url)
    template = Record.from_json(json.dumps(record))
    with ThreadPoolExecutor(8) as pool:
        numbers = [one.number for one in pool.map(lambda _: RecordStore(cloud, bucket, "told").add(template), range(8))]
    assert sorted(numbers) == list(range(last, last + 8)), "each has a number of its own"

    cortex.ok("export", "told", "v2", str(tmp_path / "files"))
    cortex.ok("deploy", str(tmp_path / "files"), "--yes", "-m", "again")
    kept = cortex.json("history", "told")["deployments"]
    numbers = [one["number"] for one in kept]
    assert numbers == [*range(last + 8, last + 8 - KEPT, -1), newest["number"]], "and two that served"
    there = {item["Key"] for item in s3.list_objects_v2(Bucket=bucket, Prefix="projects/told/")["Contents"]}
    assert {f"projects/told/{one['archive']}.zip" for one in kept} == there
    assert first["number"] not in numbers

    cortex.ok("delete", "told", "--yes")
    gone = cortex.run("history", "told")
    assert (gone.returncode, "told is not deployed" in gone.stderr) == (1, True)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket, Prefix="history/")
