"""Flow fields: predicted from tiles, made from labels."""
