"""Plans: frozen injections, what they need to know, and their names."""
