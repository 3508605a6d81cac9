"""``python -m pipechaos``."""

from pipechaos.cli.main import main

if __name__ == "__main__":
    main()
