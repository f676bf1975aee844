"""What `tenant-webhooks doctor` looks at: one file for each thing, pure judgements beside the look itself."""
