"""Ray: Serve deployments and the composition root. The only room (with cluster) that imports ray."""
