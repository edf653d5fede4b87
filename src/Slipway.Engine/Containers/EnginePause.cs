namespace Slipway.Engine.Containers;

/// <summary>A pause for a commit, or for copies of volumes: the last who holds it lets the container go on. Belongs to the holder of the container's lock.</summary>
internal sealed class EnginePause
{
    public int Holders { get; set; }
}
