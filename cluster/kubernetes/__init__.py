"""The service on Kubernetes, as KubeRay runs it."""
