"""Parameters that are functions of free parameters: orthogonal matrices, decay rates, poles."""
