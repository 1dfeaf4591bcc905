"""Real processes in bad weather: what is cut, killed and starved must add up afterwards; timings are in bench."""
