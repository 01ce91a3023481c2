"""What every child process needs: start, watch and stop it, a port of its own, and our own signals."""
