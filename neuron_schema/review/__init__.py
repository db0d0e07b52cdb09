"""What versions under review really do, measured on a throw-away server and told to a reviewer."""
