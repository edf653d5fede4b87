using System.Globalization;
using Slipway.Api.Containers;

namespace Slipway.Cli.Options;

/// <summary><c>--mount type=bind,source=…,target=…,…</c>.</summary>
internal static class MountSpec
{
    public static Mount Parse(string text)
    {
        Mount mount = new() { Type = "volume" };
        foreach (string field in text.Split(','))
        {
            int equals = field.IndexOf('=', StringComparison.Ordinal);
            string key = (equals < 0 ? field : field[..equals]).Trim().ToLowerInvariant();
            string? value = equals < 0 ? null : field[(equals + 1)..].Trim();
            switch (key)
            {
                case "type":
                    mount.Type = Required().ToLowerInvariant();
                    break;
                case "source" or "src":
                    mount.Source = mount.Type == "bind" && value is "." or ['.', '/', ..] ? Path.GetFullPath(Required()) : Required();
                    break;
                case "target" or "dst" or "destination":
                    mount.Target = Required();
                    break;
                case "readonly" or "ro":
                    mount.ReadOnly = Flag();
                    break;
                case "bind-propagation":
                    (mount.BindOptions ??= new BindOptions()).Propagation = Required().ToLowerInvariant();
                    break;
                case "bind-nonrecursive":
                    (mount.BindOptions ??= new BindOptions()).NonRecursive = Flag();
                    break;
                case "bind-recursive":
                    Recursive(Required(), mount.BindOptions ??= new BindOptions());
                    break;
                case "volume-nocopy":
                    (mount.VolumeOptions ??= new VolumeOptions()).NoCopy = Flag();
                    break;
                case "volume-subpath":
                    (mount.VolumeOptions ??= new VolumeOptions()).Subpath = Required();
                    break;
                case "volume-driver":
                    ((mount.VolumeOptions ??= new VolumeOptions()).DriverConfig ??= new DriverConfig()).Name = Required();
                    break;
                case "tmpfs-size":
                    (mount.TmpfsOptions ??= new TmpfsOptions()).SizeBytes = Quantities.Bytes(Required());
                    break;
                case "tmpfs-mode":
                    (mount.TmpfsOptions ??= new TmpfsOptions()).Mode = Convert.ToUInt32(Required(), 8);
                    break;
                case "image-subpath":
                    (mount.ImageOptions ??= new ImageMountOptions()).Subpath = Required();
                    break;
                case "consistency":
                    mount.Consistency = Required();
                    break;
                default:
                    throw new CommandException($"invalid argument \"{text}\" for \"--mount\" flag: unknown option '{key}' in '{field}'");
            }

            string Required() => value ?? throw new CommandException($"invalid argument \"{text}\" for \"--mount\" flag: invalid field '{field}' must be a key=value pair");

            bool Flag() => value is null or "1" or "true" or "TRUE" or "True" || (value is "0" or "false" or "FALSE" or "False"
                ? false
                : throw new CommandException($"invalid argument \"{text}\" for \"--mount\" flag: invalid value for '{key}': invalid boolean value: {value}"));
        }

        return mount.Target.Length > 0 ? mount : throw new CommandException($"invalid argument \"{text}\" for \"--mount\" flag: target is required");
    }

    private static void Recursive(string value, BindOptions options)
    {
        switch (value)
        {
            case "enabled":
                break;
            case "disabled":
                options.NonRecursive = true;
                break;
            case "writable":
                options.ReadOnlyNonRecursive = true;
                break;
            case "readonly":
                options.ReadOnlyForceRecursive = true;
                break;
            default:
                throw new CommandException($"invalid value for bind-recursive: {value} (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")");
        }
    }
}
