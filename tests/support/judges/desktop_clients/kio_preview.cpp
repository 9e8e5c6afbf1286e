// Which cached thumbnails KIO takes: it is asked for the preview of each file, one after the other.
//
// argv[1] is the wanted edge in pixels; paths come on standard input, each with a zero byte behind
// it. For each one line: "taken" where the colour in the middle of the preview is that of the
// planted entry (pure green), "made" where it is another, "none" where there is no preview. The
// sources show no green, so a preview that was made of one cannot be taken for an entry.

#include <KFileItem>
#include <KIO/PreviewJob>
#include <QFile>
#include <QGuiApplication>
#include <QImage>
#include <QPixmap>
#include <QUrl>
#include <cstdio>

int main(int argc, char **argv)
{
    QGuiApplication program(argc, argv);
    const int edge = QString::fromLocal8Bit(argv[1]).toInt();
    QFile input;
    if (!input.open(stdin, QIODevice::ReadOnly))
        return 1;
    const QStringList plugins = KIO::PreviewJob::availablePlugins();
    const QList<QByteArray> names = input.readAll().split('\0');
    for (const QByteArray &name : names) {
        if (name.isEmpty())
            continue;
        const KFileItem item(QUrl::fromLocalFile(QFile::decodeName(name)));
        KIO::PreviewJob *job = KIO::filePreview({item}, QSize(edge, edge), &plugins);
        job->setScaleType(KIO::PreviewJob::ScaledAndCached);
        job->setIgnoreMaximumSize(true);
        job->setDevicePixelRatio(program.devicePixelRatio()); // QT_SCALE_FACTOR
        const char *said = "none";
        QObject::connect(job, &KIO::PreviewJob::gotPreview, [&](const KFileItem &, const QPixmap &found) {
            const QImage image = found.toImage();
            said = image.pixelColor(image.width() / 2, image.height() / 2) == QColor(0, 255, 0) ? "taken" : "made";
        });
        job->exec();
        std::printf("%s\n", said);
    }
    return 0;
}
