namespace Slipway.BuildKit.Files;

/// <summary>What of a tree is sent.</summary>
public abstract class FileSelection
{
    public static FileSelection All { get; } = new Everything();

    /// <param name="path">With slashes and none at its beginning.</param>
    public abstract FileChoice Choose(string path, bool isDirectory);

    private sealed class Everything : FileSelection
    {
        public override FileChoice Choose(string path, bool isDirectory) => FileChoice.Take;
    }
}

public enum FileChoice
{
    /// <summary>Neither it nor what is in it.</summary>
    Skip,

    /// <summary>A directory that is sent only where something in it is.</summary>
    Look,

    Take,
}
