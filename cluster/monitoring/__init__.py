"""What an operator watches the service with: Prometheus rules and Grafana dashboards."""
