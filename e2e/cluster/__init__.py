from .cluster import Cluster, Failed

__all__ = ["Cluster", "Failed"]
