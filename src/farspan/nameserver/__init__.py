"""DNS mode: an authoritative name server for one zone, from what every node knows anyway."""
