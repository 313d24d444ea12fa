"""Where pictures are kept: a local folder, or S3 by one setting."""
