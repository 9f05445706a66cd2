"""Which engines are resident: load on first use, lend to turns, notice crashes, stop."""
