"""The configuration files ``cortex.yaml`` and ``cluster.yaml`` as typed, immutable models.

    cortex.yaml -> document    parses YAML into data that remembers lines and columns
                -> diagnosis   builds models from the data (one module a section); finds all problems, each at its place
                -> checks      looks at the files that the configuration names, and at the predictor class
                -> load        puts all of these together: Config(apis, splitters, warnings)

Read ``load`` first. A model validates itself when it is built, so every instance is valid; ``model_dump(mode="json")``
and ``model_validate`` round trip.

May import: ``project``, ``errors``.
"""

from cortex_cdk.config.cluster import Cluster, LoadBalancer, Vpc
from cortex_cdk.config.load import Config, load_config
from cortex_cdk.config.load_cluster import load_cluster
from cortex_cdk.config.realtime_api import RealtimeApi, TrafficSplitter, Variant
from cortex_cdk.config.sections.autoscaling import Autoscaling
from cortex_cdk.config.sections.compute import Compute
from cortex_cdk.config.sections.instance_group import InstanceGroup, Spot, Volume
from cortex_cdk.config.sections.monitoring import Monitoring
from cortex_cdk.config.sections.networking import Networking
from cortex_cdk.config.sections.predictor import Model, Models, Predictor, ServerSideBatching
from cortex_cdk.config.sections.update_strategy import RollingPercentages, UpdateStrategy

__all__ = [
    "Autoscaling",
    "Cluster",
    "Compute",
    "Config",
    "InstanceGroup",
    "LoadBalancer",
    "Model",
    "Models",
    "Monitoring",
    "Networking",
    "Predictor",
    "RealtimeApi",
    "RollingPercentages",
    "ServerSideBatching",
    "Spot",
    "TrafficSplitter",
    "UpdateStrategy",
    "Variant",
    "Volume",
    "Vpc",
    "load_cluster",
    "load_config",
]
