"""What the adapters built on Nengo share: the reference neuron, and the networks of the NEF tasks."""
