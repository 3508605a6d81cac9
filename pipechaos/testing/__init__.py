"""What tests of pipelines can use."""
