"""Configuration: what a user writes, as typed, immutable models.

    cortex.yaml -> document    YAML to plain data that remembers lines and columns
                -> diagnosis   data to models (one module for each section); all problems at once, each at its place
                -> named_files, predictor_source   the files that it names exist, the predictor class fits
                -> load        Config: apis, splitters, warnings

Models check themselves when they are built from data, so that one that exists is right, and round trip through
``model_dump(mode="json")`` and ``model_validate``.
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
