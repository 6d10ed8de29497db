"""What is known of one run, and how it is started on this machine."""
