"""Right-hand sides F of ÿ = F(y, x) or ẏ = F(y, x), and the stages that apply them."""
