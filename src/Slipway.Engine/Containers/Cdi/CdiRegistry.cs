using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Oci.Cdi;

namespace Slipway.Engine.Containers.Cdi;

/// <summary>The devices that the specifications of a host describe, as they are at one moment.</summary>
/// <param name="Devices">By qualified name, <c>vendor.com/class=name</c>: the specification with the edits for all, and the device.</param>
/// <param name="Problems">Of files that were passed over.</param>
internal sealed record CdiRegistry(IReadOnlyDictionary<string, (CdiDocument Document, CdiDevice Device)> Devices, IReadOnlyList<string> Problems)
{
    private const int MaxFile = 1 << 20;
    private const int MaxFiles = 1000;
    private const uint WritableByOthers = 0x12; // 022

    /// <summary>Reads <c>*.json</c> and <c>*.yaml</c> of the directories.</summary>
    /// <param name="directories">A later one goes before those above it. Two files of one directory that describe the same device: nobody gets it.</param>
    public static CdiRegistry Read(IReadOnlyList<string> directories)
    {
        Dictionary<string, (CdiDocument Document, CdiDevice Device)> devices = new(StringComparer.Ordinal);
        List<string> problems = [];
        foreach (string directory in directories)
        {
            Dictionary<string, (CdiDocument Document, CdiDevice Device)> found = new(StringComparer.Ordinal);
            HashSet<string> conflicts = new(StringComparer.Ordinal);
            foreach ((string path, bool isYaml) in Files(directory))
            {
                try
                {
                    CdiDocument document = CdiReader.Read(Content(path, out bool isRoots), isYaml);
                    if (document.HasHooks && !isRoots)
                    {
                        throw new FormatException("it has hooks, and others than root may write it");
                    }

                    foreach (CdiDevice device in document.Devices)
                    {
                        string name = $"{document.Kind}={device.Name}";
                        if (!found.TryAdd(name, (document, device)))
                        {
                            conflicts.Add(name);
                            problems.Add($"{path}: conflicting device \"{name}\"");
                        }
                    }
                }
                catch (Exception error) when (error is FormatException or KernelException)
                {
                    problems.Add($"{path}: {error.Message}");
                }
            }

            foreach ((string name, (CdiDocument Document, CdiDevice Device) device) in found)
            {
                devices[name] = device;
            }

            foreach (string name in conflicts)
            {
                devices.Remove(name);
            }
        }

        return new CdiRegistry(devices, problems);
    }

    public bool HasKind(string kind) => Devices.Keys.Any(name => name.StartsWith(kind + "=", StringComparison.Ordinal));

    private static List<(string Path, bool IsYaml)> Files(string directory)
    {
        using SafeFileHandle? opened = new HostPath(directory).TryOpen(OpenFlags.Directory);
        List<(string Path, bool IsYaml)> files = [];
        foreach (ListedEntry entry in opened is null ? [] : new DirectoryListing(opened).Take(MaxFiles))
        {
            string name = Encoding.UTF8.GetString(entry.Name);
            if (name.EndsWith(".json", StringComparison.Ordinal) || name.EndsWith(".yaml", StringComparison.Ordinal))
            {
                files.Add(($"{directory.TrimEnd('/')}/{name}", name.EndsWith(".yaml", StringComparison.Ordinal)));
            }
        }

        files.Sort((left, right) => string.CompareOrdinal(left.Path, right.Path));
        return files;
    }

    /// <summary>Of a regular file: opening anything else could wait for ever.</summary>
    /// <param name="isRoots">Nobody but root may write it.</param>
    private static byte[] Content(string path, out bool isRoots)
    {
        using SafeFileHandle file = new HostPath(path).Open(OpenFlags.ReadOnly | OpenFlags.NonBlocking);
        FileStatus status = FileStatus.Of(file);
        isRoots = status.UserId == 0 && (status.Permissions & WritableByOthers) == 0;
        return status.IsRegularFile ? Descriptors.ReadToEnd(file, MaxFile) : throw new FormatException("it is no regular file");
    }
}
