using System.Runtime.InteropServices;

namespace Slipway.Kernel.Security;

/// <summary>libseccomp 2.5, seccomp.h. Functions return 0 or more, or a negative error number.</summary>
/// <remarks>SetLastError is there for the generator: without anything to marshal it would write a bare DllImport, which is banned.</remarks>
internal static unsafe partial class Libseccomp
{
    private const string Library = "libseccomp.so.2";

    [LibraryImport(Library, EntryPoint = "seccomp_init", SetLastError = true)]
    public static partial nint Init(uint defaultAction);

    [LibraryImport(Library, EntryPoint = "seccomp_release", SetLastError = true)]
    public static partial void Release(nint filter);

    [LibraryImport(Library, EntryPoint = "seccomp_arch_native", SetLastError = true)]
    public static partial uint NativeArchitecture();

    [LibraryImport(Library, EntryPoint = "seccomp_arch_resolve_name", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial uint ResolveArchitecture(string name);

    [LibraryImport(Library, EntryPoint = "seccomp_arch_add", SetLastError = true)]
    public static partial int AddArchitecture(nint filter, uint architecture);

    [LibraryImport(Library, EntryPoint = "seccomp_arch_remove", SetLastError = true)]
    public static partial int RemoveArchitecture(nint filter, uint architecture);

    [LibraryImport(Library, EntryPoint = "seccomp_syscall_resolve_name", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int ResolveSystemCall(string name);

    [LibraryImport(Library, EntryPoint = "seccomp_syscall_resolve_name_arch", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int ResolveSystemCall(uint architecture, string name);

    [LibraryImport(Library, EntryPoint = "seccomp_rule_add_array", SetLastError = true)]
    public static partial int AddRule(nint filter, uint action, int systemCall, uint count, Comparison* comparisons);

    [LibraryImport(Library, EntryPoint = "seccomp_attr_set", SetLastError = true)]
    public static partial int SetAttribute(nint filter, uint attribute, uint value);

    [LibraryImport(Library, EntryPoint = "seccomp_export_bpf", SetLastError = true)]
    public static partial int ExportBpf(nint filter, int descriptor);

    [LibraryImport("libc", EntryPoint = "memfd_create", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int MemfdCreate(string name, uint flags);

    /// <summary>struct scmp_arg_cmp.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Comparison
    {
        public uint Argument;
        public uint Operator;
        public ulong First;
        public ulong Second;
    }
}
