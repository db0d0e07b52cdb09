"""What statements do, measured, and what two tools say of them."""
