"""A small cluster in moto with the data plane behind it, for tests that run real processes and a real Envoy."""

from __future__ import annotations

import http.client
import json
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

from cortex_cdk.localcloud.daemon.reconciler import Reconciler, install
from cortex_cdk.localcloud.ports import Ports, resolve
from cortex_cdk.localcloud.services.ecr import images
from cortex_cdk.localcloud.settings import Settings
from tests.local.waiting import until

REGION = "us-east-1"
REPOSITORY = "cortex-test"
IMAGE = f"123456789012.dkr.ecr.{REGION}.amazonaws.com/{REPOSITORY}:v1"
SERVER = Path(__file__).with_name("replica.py")


@dataclass
class Cloud:
    """A running data plane with one load balancer and one ECS cluster."""

    settings: Settings
    control: str
    plane: Reconciler
    vpc: str = ""
    balancer: str = ""
    listener: str = ""
    groups: dict[str, str] = field(default_factory=dict)

    def restart(self) -> None:
        """Stop the data plane and start another one on the same state."""
        self.plane.stop()
        self.plane = Reconciler(self.settings)
        self.plane.start()

    def client(self, service: str) -> Any:
        # boto3's overloads want the service's name as a literal.
        make: Any = boto3.client
        return make(
            service,
            region_name=REGION,
            endpoint_url=self.control,
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )

    def prepare(self) -> None:
        """Make the cluster, the repository, the load balancer."""
        ec2 = self.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        zones = ("a", "b")
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"{REGION}{zone}")["Subnet"]
            for n, zone in enumerate(zones)
        ]
        self.vpc = vpc
        self._give_instances([subnet["SubnetId"] for subnet in subnets])
        self.client("ecr").create_repository(repositoryName=REPOSITORY)
        images.put(REGION, REPOSITORY, "v1", Path(sys.executable).parent, ["python", str(SERVER)])
        elb = self.client("elbv2")
        balancer = elb.create_load_balancer(Name="main", Subnets=[s["SubnetId"] for s in subnets])
        self.balancer = balancer["LoadBalancers"][0]["LoadBalancerArn"]
        fixed = {"StatusCode": "404", "ContentType": "application/json", "MessageBody": '{"error": "no such API"}'}
        self.listener = elb.create_listener(
            LoadBalancerArn=self.balancer,
            Protocol="HTTP",
            Port=80,
            DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": fixed}],
        )["Listeners"][0]["ListenerArn"]

    def _give_instances(self, subnets: list[str]) -> None:
        """Make the ECS cluster, with one instance that has room for whatever the tests run, and four GPUs."""
        template = {"ImageId": "ami-12345678", "InstanceType": "g4dn.12xlarge"}
        self.client("ec2").create_launch_template(LaunchTemplateName="main", LaunchTemplateData=template)
        self.client("autoscaling").create_auto_scaling_group(
            AutoScalingGroupName="main",
            LaunchTemplate={"LaunchTemplateName": "main"},
            MinSize=1,
            MaxSize=1,
            VPCZoneIdentifier=",".join(subnets),
        )
        ecs = self.client("ecs")
        ecs.create_capacity_provider(name="main", autoScalingGroupProvider={"autoScalingGroupArn": "main"})
        ecs.create_cluster(clusterName="main", capacityProviders=["main"])

    def group(self, name: str, **attributes: str) -> str:
        elb = self.client("elbv2")
        arn: str = elb.create_target_group(
            Name=name,
            Protocol="HTTP",
            Port=8888,
            VpcId=self.vpc,
            TargetType="instance",
            HealthCheckPath="/ready",
            HealthCheckIntervalSeconds=6,
            HealthCheckTimeoutSeconds=2,
            HealthyThresholdCount=2,
            UnhealthyThresholdCount=2,
        )["TargetGroups"][0]["TargetGroupArn"]
        wanted = {"deregistration_delay.timeout_seconds": "30", **attributes}
        elb.modify_target_group_attributes(
            TargetGroupArn=arn, Attributes=[{"Key": key, "Value": value} for key, value in wanted.items()]
        )
        self.groups[name] = arn
        return arn

    def rule(self, priority: int, *paths: str, weights: dict[str, int]) -> str:
        targets = [{"TargetGroupArn": self.groups[name], "Weight": weight} for name, weight in weights.items()]
        arn: str = self.client("elbv2").create_rule(
            ListenerArn=self.listener,
            Priority=priority,
            Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": list(paths)}}],
            Actions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": targets}}],
        )["Rules"][0]["RuleArn"]
        self.plane.wake()
        return arn

    def definition(self, family: str = "api", *, image: str = IMAGE, memory: int = 256, **environment: str) -> str:
        arn: str = self.client("ecs").register_task_definition(
            family=family,
            networkMode="bridge",
            requiresCompatibilities=["EC2"],
            containerDefinitions=[
                {
                    "name": "api",
                    "image": image,
                    "memory": memory,
                    "essential": True,
                    "stopTimeout": 2,
                    "command": ["python", str(SERVER)],
                    "portMappings": [{"containerPort": 8888}],
                    "environment": [{"name": name, "value": value} for name, value in environment.items()],
                }
            ],
        )["taskDefinition"]["taskDefinitionArn"]
        return arn

    def service(self, name: str, definition: str, desired: int = 1, **options: Any) -> dict[str, Any]:
        service: dict[str, Any] = self.client("ecs").create_service(
            cluster="main",
            serviceName=name,
            taskDefinition=definition,
            desiredCount=desired,
            loadBalancers=[{"targetGroupArn": self.groups[name], "containerName": "api", "containerPort": 8888}],
            **{"healthCheckGracePeriodSeconds": 60, **options},
        )["service"]
        self.plane.wake()
        return service

    def update(self, name: str, **changes: Any) -> dict[str, Any]:
        service: dict[str, Any] = self.client("ecs").update_service(cluster="main", service=name, **changes)["service"]
        self.plane.wake()
        return service

    def describe(self, name: str) -> dict[str, Any]:
        (service,) = self.client("ecs").describe_services(cluster="main", services=[name])["services"]
        return dict(service)

    def wait_for_rollout(self, name: str, state: str = "COMPLETED", timeout: float = 60.0) -> dict[str, Any]:
        def reached() -> dict[str, Any] | None:
            service = self.describe(name)
            return service if service["deployments"][0]["rolloutState"] == state else None

        result: dict[str, Any] = until(reached, timeout)
        return result

    def tasks(self, name: str, status: str = "RUNNING") -> list[dict[str, Any]]:
        ecs = self.client("ecs")
        arns = ecs.list_tasks(cluster="main", serviceName=name, desiredStatus=status)["taskArns"]
        return list(ecs.describe_tasks(cluster="main", tasks=arns)["tasks"]) if arns else []

    def health(self, name: str) -> list[dict[str, Any]]:
        answer = self.client("elbv2").describe_target_health(TargetGroupArn=self.groups[name])
        return list(answer["TargetHealthDescriptions"])

    def get(self, path: str, *, method: str = "GET", body: bytes | None = None, headers: Any = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.settings.http_port, timeout=30)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        try:
            return response.status, json.loads(content)
        except ValueError:
            return response.status, content.decode()


class Traffic:
    """Clients that ask 50 times a second at most; what they got, by status and answer (0 for one that broke off)."""

    def __init__(self, running: Cloud, path: str, clients: int = 4) -> None:
        self.seen: Counter[tuple[int, str]] = Counter()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(clients)
        self._work = [self._pool.submit(self._ask, running, path) for _ in range(clients)]

    def __enter__(self) -> Traffic:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for work in self._work:
            work.result()
        self._pool.shutdown()

    def _ask(self, running: Cloud, path: str) -> None:
        while not self._stop.is_set():
            try:
                status, content = running.get(path)
            except (http.client.HTTPException, ConnectionError) as error:
                status, content = 0, type(error).__name__  # a replica was killed when its answer had begun
            with self._lock:
                self.seen[status, content["answer"] if status == 200 else str(content)] += 1
            self._stop.wait(0.02)


@contextmanager
def cloud(state: Path, speed: float = 12.0) -> Iterator[Cloud]:
    """A cloud that is stopped at the end, whatever happens."""
    install()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    ports: Ports = resolve(Settings(state=state, control_port=0, http_port=0, https_port=0), None)
    settings = Settings(state=state, control_port=port, http_port=ports.http, https_port=ports.https, speed=speed)
    result = Cloud(settings, f"http://{host}:{port}", Reconciler(settings))
    result.plane.start()
    try:
        result.prepare()
        yield result
    finally:
        result.plane.stop()
        _reset(port)
        server.stop()


def _reset(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/moto-api/reset")
    connection.getresponse().read()
    connection.close()
