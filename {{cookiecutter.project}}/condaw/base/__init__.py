"""What knows nothing of conda: errors, messages, processes, paths, hashes."""
