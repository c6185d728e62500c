"""What survives the end of the data plane, however it comes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from cortex_cdk.localcloud.containers import orphans
from cortex_cdk.localcloud.containers.driver import FOLDERS_KEPT, TaskDriver
from cortex_cdk.localcloud.containers.launch import CannotStartError, Exit, Launch, OutputLimits
from tests.local.localcloud.data_plane_support import cloud
from tests.local.waiting import until


def launch(task_id: str, *command: str, **options: Any) -> Launch:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return Launch(task_id, tuple(command), {"PATH": path}, **options)


def test_a_service_comes_back_after_a_restart(tmp_path: Path) -> None:
    with cloud(tmp_path) as running:
        running.group("iris")
        running.rule(1, "/iris", weights={"iris": 1})
        running.service("iris", running.definition(ANSWER="one"), 2)
        deployed = running.wait_for_rollout("iris")["deployments"][0]["id"]
        before = {task["taskArn"] for task in running.tasks("iris")}

        running.restart()

        until(lambda: running.describe("iris")["runningCount"] == 2 and len(running.health("iris")) == 2)
        until(lambda: running.get("/iris")[0] == 200)
        service = running.describe("iris")
        assert (service["deployments"][0]["id"], service["deployments"][0]["rolloutState"]) == (deployed, "COMPLETED")
        assert {task["taskArn"] for task in running.tasks("iris", "STOPPED")} == before


def test_processes_of_a_killed_daemon_are_ended(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from cortex_cdk.localcloud.containers.driver import TaskDriver;"
        "from cortex_cdk.localcloud.containers.launch import Launch;"
        "d = TaskDriver(Path(sys.argv[1]), lambda: None); d.open();"
        "d.start(Launch('t1', ('sleep', '600'), {'PATH': '/usr/bin:/bin'})); print(d.pid('t1'), flush=True);"
        "time.sleep(600)"
    )
    daemon = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert daemon.stdout
    pid = int(daemon.stdout.readline())
    daemon.kill()
    daemon.communicate()
    assert psutil.pid_exists(pid)

    assert orphans.end_all(tmp_path) == [pid]

    until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    assert orphans.end_all(tmp_path) == []


def test_a_process_with_a_reused_id_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "tasks" / "t1"
    folder.mkdir(parents=True)
    (folder / "process.json").write_text(json.dumps({"pid": os.getpid(), "started": "another boot 1000"}))

    assert orphans.end_all(tmp_path) == []


def test_children_end_with_their_container(tmp_path: Path) -> None:
    driver = TaskDriver(tmp_path, lambda: None)
    driver.open()
    script = (
        "import subprocess; print(subprocess.Popen(['sleep', '600']).pid, flush=True); import time; time.sleep(600)"
    )
    driver.start(launch("t1", "python", "-c", script))
    output = tmp_path / "tasks" / "t1" / "output.log"
    child = int(until(lambda: output.read_text().strip()))

    pid = driver.pid("t1")
    assert pid
    os.kill(pid, signal.SIGKILL)

    until(driver.exits)
    assert driver.exits() == [Exit("t1", 137, None)], "told until it has been written down"
    driver.acknowledge("t1")
    assert driver.exits() == []
    until(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE)
    driver.close(1)


def test_a_process_that_cannot_be_written_down_is_a_failure_and_ended(tmp_path: Path) -> None:
    """The disk is full, say: nobody would find the process again, and its service would wait for it for ever."""
    driver = TaskDriver(tmp_path, lambda: None)
    driver.open()
    (tmp_path / "tasks" / "t1" / "process.json.new").mkdir(parents=True)

    with pytest.raises(CannotStartError, match="Is a directory"):
        driver.start(launch("t1", "sleep", "600"))

    assert not [child for child in psutil.Process().children() if "600" in child.cmdline()]
    driver.close(1)


def test_output_is_bounded(tmp_path: Path) -> None:
    driver = TaskDriver(tmp_path, lambda: None)
    driver.open()
    script = "import time\nfor n in range(100000):\n print('x' * 1000, flush=True); time.sleep(0.001)"
    driver.start(launch("t1", "python", "-c", script, output=OutputLimits(max_bytes=100_000, max_files=2)))
    folder = tmp_path / "tasks" / "t1"

    until((folder / "output.log.1").exists)
    driver.close(0.1)

    assert {path.name for path in folder.glob("output.log*")} == {"output.log", "output.log.1"}


def test_folders_of_ended_tasks_are_removed_after_a_while(tmp_path: Path) -> None:
    driver = TaskDriver(tmp_path, lambda: None)
    driver.open()
    for number in range(FOLDERS_KEPT + 3):
        driver.start(launch(f"t{number}", "true"))

    until(lambda: len(driver.exits()) == FOLDERS_KEPT + 3)
    for ended in driver.exits():
        driver.acknowledge(ended.task_id)

    assert len(list((tmp_path / "tasks").iterdir())) == FOLDERS_KEPT
    driver.close(1)
