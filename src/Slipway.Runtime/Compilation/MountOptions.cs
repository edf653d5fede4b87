using Slipway.Kernel.Mounts;

namespace Slipway.Runtime.Compilation;

/// <summary>The option words of a mount (runtime-spec config.md, "Linux mount options"; mount(8)), sorted by what they do.</summary>
public sealed class MountOptions
{
    private MountOptions()
    {
    }

    public bool IsBind { get; private set; }

    public bool IsRecursiveBind { get; private set; }

    /// <summary>Files show with other ids than on disk (runtime-spec config.md, <c>idmap</c> and <c>ridmap</c>).</summary>
    public bool IsIdMapped { get; private set; }

    /// <summary>On the mounts below too.</summary>
    public bool IsRecursivelyIdMapped { get; private set; }

    public MountAttributes Set { get; private set; }

    public MountAttributes Clear { get; private set; }

    public MountAttributes RecursiveSet { get; private set; }

    public MountAttributes RecursiveClear { get; private set; }

    public MountPropagation Propagation { get; private set; }

    public bool IsPropagationRecursive { get; private set; }

    /// <summary>What is left: options of the file system.</summary>
    public IReadOnlyList<string> Data => _data;

    private readonly List<string> _data = [];

    public static MountOptions Parse(IReadOnlyList<string> words)
    {
        var options = new MountOptions();
        foreach (string word in words)
        {
            options.Add(word);
        }

        return options;
    }

    /// <summary>A propagation word (<c>rslave</c>), or false.</summary>
    public static bool TryPropagation(string word, out MountPropagation propagation, out bool recursive)
    {
        recursive = word.StartsWith('r');
        propagation = (recursive ? word[1..] : word) switch
        {
            "private" => MountPropagation.Private,
            "shared" => MountPropagation.Shared,
            "slave" => MountPropagation.Slave,
            "unbindable" => MountPropagation.Unbindable,
            _ => MountPropagation.Unchanged,
        };
        return propagation != MountPropagation.Unchanged;
    }

    private void Add(string word)
    {
        if (word is "bind" or "rbind")
        {
            IsBind = true;
            IsRecursiveBind |= word == "rbind";
        }
        else if (word is "idmap" or "ridmap")
        {
            IsIdMapped = true;
            IsRecursivelyIdMapped |= word == "ridmap";
        }
        else if (TryPropagation(word, out MountPropagation propagation, out bool recursive))
        {
            Propagation = propagation;
            IsPropagationRecursive = recursive;
        }
        else if (Attribute(word) is (var set, var clear))
        {
            Set = (Set & ~clear) | set;
            Clear = (Clear & ~set) | clear;
        }
        else if (word.StartsWith('r') && Attribute(word[1..]) is (var recursiveSet, var recursiveClear))
        {
            RecursiveSet = (RecursiveSet & ~recursiveClear) | recursiveSet;
            RecursiveClear = (RecursiveClear & ~recursiveSet) | recursiveClear;
        }
        else if (word is not ("defaults" or ""))
        {
            _data.Add(word);
        }
    }

    private static (MountAttributes Set, MountAttributes Clear)? Attribute(string word) => word switch
    {
        "ro" => (MountAttributes.ReadOnly, 0),
        "rw" => (0, MountAttributes.ReadOnly),
        "nosuid" => (MountAttributes.NoSetId, 0),
        "suid" => (0, MountAttributes.NoSetId),
        "nodev" => (MountAttributes.NoDevices, 0),
        "dev" => (0, MountAttributes.NoDevices),
        "noexec" => (MountAttributes.NoExecute, 0),
        "exec" => (0, MountAttributes.NoExecute),
        "noatime" => (MountAttributes.NoAccessTime, 0),
        "atime" or "relatime" => (0, MountAttributes.AccessTimeMask),
        "norelatime" or "strictatime" => (MountAttributes.StrictAccessTime, 0),
        "nostrictatime" => (0, MountAttributes.StrictAccessTime),
        "nodiratime" => (MountAttributes.NoDirectoryAccessTime, 0),
        "diratime" => (0, MountAttributes.NoDirectoryAccessTime),
        "nosymfollow" => (MountAttributes.NoSymbolicLinkFollow, 0),
        "symfollow" => (0, MountAttributes.NoSymbolicLinkFollow),
        _ => null,
    };
}
