"""What images of the service are made from."""
