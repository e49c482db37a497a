"""What make bench runs: measurements, and the profiles they are made on."""
