"""What makes, joins and rearranges tensors."""
