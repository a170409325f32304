"""The conda prefix: built, put in place, verified, activated."""
