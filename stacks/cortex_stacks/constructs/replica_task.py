"""The task definition of a replica: its container (``cortex_serving.contract``)."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from constructs import Construct
from cortex_serving.contract import COMMAND, LISTEN, PORT, STOP_TIMEOUT_S, Variable

from cortex_cdk import names
from cortex_cdk.config.realtime_api import RealtimeApi
from cortex_cdk.config.serving_spec import serving_spec
from cortex_cdk.synthesis.specs import ApiStackSpec
from cortex_stacks.constructs.permissions import acknowledge
from cortex_stacks.constructs.replica_roles import TaskRole, execution_role
from cortex_stacks.constructs.replica_secrets import pass_secrets

CONTAINER = "api"
OPEN_FILES = 65_536
# `cpu` is a share, no limit: a container sees all CPUs of its instance, and numerical libraries start a thread for
# each: as many as fit its share are faster.
# OpenBLAS, MKL, BLIS, numexpr and PyTorch take OMP_NUM_THREADS where their own variable is not set; the others do not.
# https://github.com/OpenMathLib/OpenBLAS#setting-the-number-of-threads-using-environment-variables
# https://www.intel.com/content/www/us/en/docs/onemkl/developer-guide-linux/2025-2/mkl-num-threads.html
# https://docs.pytorch.org/docs/stable/threading_environment_variables.html
_THREADS = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
GROUP_LABEL = "cortex.instance-group"


class ReplicaTask(Construct):
    """Task definition, execution role and task role of an API.

    Args:
        spec: The API, and the cluster's resources.
        image: Reference of the image (a template parameter).
        project_key: Key of the project archive in the cluster's bucket (a template parameter).
        revision: The deployed version (a template parameter).
        endpoint: The API's path when that version was deployed (a template parameter).

    Attributes:
        definition: The task definition.
        execution_role: The role that the ECS agent starts tasks with.
        permissions: The container's own role, with its policies.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        spec: ApiStackSpec,
        *,
        image: str,
        project_key: str,
        revision: str,
        endpoint: str,
    ) -> None:
        super().__init__(scope, id)
        api, cluster = spec.api, spec.cluster
        self.execution_role = execution_role(self, spec)
        self.permissions = TaskRole(self, "Access", spec)
        self.definition = ecs.Ec2TaskDefinition(
            self,
            "Definition",
            family=names.task_family(cluster.cluster, api.name),
            network_mode=ecs.NetworkMode.BRIDGE,
            execution_role=self.execution_role,
            task_role=self.permissions.role,
        )
        acknowledge(self.definition, "AwsSolutions-ECS2", "the container's environment holds no secrets")
        project = f"s3://{cluster.bucket}/{project_key}"
        # A new capacity provider strategy moves no running replica (API reference of UpdateService): replicas would end
        # with the instances of a removed group. The label makes another task definition for another group.
        labels = {GROUP_LABEL: spec.provider.group}
        self._add_container(api, image, _environment(spec, project, revision, endpoint), labels)
        pass_secrets(self.definition, self.execution_role, spec)

    def _add_container(self, api: RealtimeApi, image: str, environment: dict[str, str], labels: dict[str, str]) -> None:
        self.definition.add_container(
            "Container",
            container_name=CONTAINER,
            image=ecs.ContainerImage.from_registry(image),
            command=[COMMAND],
            cpu=api.compute.cpu_units,
            memory_limit_mib=api.compute.memory_mib,
            memory_reservation_mib=None if api.compute.memory_mib else api.compute.reserved_mib,
            gpu_count=api.compute.gpu or None,
            environment=environment,
            docker_labels=labels,
            # Host port 0 (a free port) lets many replicas share an instance.
            port_mappings=[ecs.PortMapping(container_port=PORT, host_port=0)],
            stop_timeout=cdk.Duration.seconds(STOP_TIMEOUT_S),
            linux_parameters=_linux_parameters(self, api),
            ulimits=[ecs.Ulimit(name=ecs.UlimitName.NOFILE, soft_limit=OPEN_FILES, hard_limit=OPEN_FILES)],
            # The replica ships its own logs to CloudWatch; the driver only keeps a copy on the instance.
            logging=ecs.LogDrivers.json_file(max_size="10m", max_file=3),
            # No program in the image gains more than the container has, such as by its set-user-id bit.
            docker_security_options=["no-new-privileges"],
        )


def _environment(spec: ApiStackSpec, project: str, revision: str, endpoint: str) -> dict[str, str]:
    api, cluster = spec.api, spec.cluster
    threads = str(api.compute.threads(api.predictor.processes_per_replica))
    return {
        # ECS refuses a name that is among the secrets, too.
        **{name: threads for name in _THREADS if name not in api.predictor.secrets},
        **api.predictor.env,
        # boto3 reads the second name only, other SDKs the first.
        "AWS_REGION": cdk.Aws.REGION,
        "AWS_DEFAULT_REGION": cdk.Aws.REGION,
        Variable.API: api.name,
        Variable.BASE_URL: cluster.base_url,
        Variable.CLUSTER: cluster.cluster,
        Variable.LISTEN: LISTEN,
        Variable.LOG_GROUP: names.log_group(cluster.cluster, api.name),
        Variable.PROJECT: project,
        Variable.REVISION: revision,
        Variable.SPEC: serving_spec(api, endpoint),
        Variable.STOP_TIMEOUT: str(STOP_TIMEOUT_S),
        **({Variable.KEYS: f"s3://{cluster.bucket}/{names.ACCESS_KEYS}"} if api.networking.auth.api_key else {}),
    }


def _linux_parameters(scope: Construct, api: RealtimeApi) -> ecs.LinuxParameters:
    parameters = ecs.LinuxParameters(
        scope,
        "Linux",
        # Python as process 1 would ignore SIGTERM.
        init_process_enabled=True,
        shared_memory_size=-(-api.predictor.shm_size // 2**20),
    )
    parameters.drop_capabilities(ecs.Capability.ALL)
    for chip in range(api.compute.inf):
        parameters.add_devices(
            ecs.Device(
                host_path=f"/dev/neuron{chip}",
                container_path=f"/dev/neuron{chip}",
                permissions=[ecs.DevicePermission.READ, ecs.DevicePermission.WRITE],
            )
        )
    return parameters
