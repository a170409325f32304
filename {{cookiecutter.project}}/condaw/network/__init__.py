"""How servers are reached: channels and their mirrors, package indexes, proxies, certificates."""
