"""Stands in for the kubelets of all nodes: starts what pods say as processes, and reports as a kubelet does."""
