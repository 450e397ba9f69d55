"""Where a store lies and how it is reached: disks, servers, buckets and zips; and who may write in it."""
