"""`class-management students`: what people decide about students of earlier versions."""
