"""A model of how a training scales: what one rank computes, what the network adds, from one node to many."""
