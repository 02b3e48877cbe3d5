"""Questions: generated, public, everyday; and corrections of the generated ones."""
