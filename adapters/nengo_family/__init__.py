"""What the adapters built on Nengo share: the reference neuron as a Nengo neuron type."""
