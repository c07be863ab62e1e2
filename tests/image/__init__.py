"""open_image: each method over real images, links that want out, and what is refused."""
