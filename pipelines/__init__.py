"""The domain: what images, faces and masks are and how they flow, free of any framework."""
