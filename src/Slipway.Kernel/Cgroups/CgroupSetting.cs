namespace Slipway.Kernel.Cgroups;

/// <summary>A value to write to a file of a group. The part of the name before the first dot is the controller.</summary>
/// <param name="File">The kernel's name: <c>memory.limit_in_bytes</c>.</param>
/// <param name="Optional">Where the group has no such file, that is right: the kernel lacks the facility and the value is its absence.</param>
public readonly record struct CgroupSetting(string File, string Value, bool Optional = false);
