"""``python -m neuron_schema``."""

from neuron_schema.cli import main

if __name__ == "__main__":
    main()
