"""pipechaos."""
